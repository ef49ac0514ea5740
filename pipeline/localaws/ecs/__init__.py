"""ECS on Fargate: task definitions and clusters are moto's, tasks are containers that Docker really runs."""
