"""Training: pages made with exact ground truth, the stages of ``nano``, and retrieval adapters for any
backbone.
"""
