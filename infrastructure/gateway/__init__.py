"""The one port in front of all services: nginx, from one template for every way of running Holdfast."""
