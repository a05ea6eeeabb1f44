"""The built-in model: weights, tokenizer, processor, retrieval adapter and model card, as package data."""
