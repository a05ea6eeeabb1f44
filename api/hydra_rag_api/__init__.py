"""hydra_rag: settings, command line, HTTP."""
