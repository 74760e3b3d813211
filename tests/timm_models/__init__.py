"""Models of timm, in an environment that has timm and torchvision: `make timm`."""
