"""hydra_rag: the agent and the HydraRAG facade."""
