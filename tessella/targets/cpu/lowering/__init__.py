"""How products and convolutions are lowered for a CPU: packed panels, Winograd, vectors along long sums."""
