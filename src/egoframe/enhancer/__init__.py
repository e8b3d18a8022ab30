"""The vision-language model that enriches an action into a description."""
