"""What people do with the model: what comes next, guides step by step, a server and its page."""
