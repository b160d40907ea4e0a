output "cluster" {
  description = "`aws eks update-kubeconfig --name` this."
  value       = module.cluster.name
}

output "registry" {
  description = "Where the image is pushed."
  value       = module.registry.url
}

output "servers" {
  description = "Where the servers listen, for the URLs in the secrets."
  value = {
    postgres            = module.postgres.host
    rabbitmq            = module.rabbitmq.host
    rabbitmq_management = module.rabbitmq.management_url
    mongodb             = module.mongodb.host
  }
}

output "administrator_secrets" {
  description = "Where AWS keeps the passwords with which the accounts are made."
  value = {
    postgres = module.postgres.administrator_secret_arn
    mongodb  = module.mongodb.administrator_secret_arn
  }
}

output "secrets" {
  description = "The secrets to fill, one for each process."
  value       = module.secrets.names
}

output "overlay" {
  description = "What the overlay `aws` must know: overlays/aws/installation/kustomization.yaml."
  value = templatefile("${path.module}/installation.yaml.tftpl", {
    registry        = module.registry.url
    region          = var.region
    host            = var.host
    certificate_arn = var.certificate_arn
    server_cidrs    = module.network.server_cidrs
  })
}
