"""ECR: repositories as moto keeps them, images as the registry really holds them."""
