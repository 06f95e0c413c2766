"""Generated from `proto/swampd/v1` by `make proto`: messages, stubs and servicers of the API."""
