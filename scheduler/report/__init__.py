"""From the ledger's rows to what people and programs read: the report as data, as JSON and as Markdown."""
