"""The process that holds one model and answers predictions on a unix socket. Imports no Django."""
