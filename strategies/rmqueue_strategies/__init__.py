"""The strategies that ship with rmqueue, one module and one entry point each."""
