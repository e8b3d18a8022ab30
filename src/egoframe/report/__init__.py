"""A built dataset as one HTML page, for whoever decides whether to trust it.

Read in this order: `told` (report.json) → `thresholds` → `facts` (one pass that counts) →
`examples` (a second pass for frames) → `histogram`, `sections` → `page`.
"""
