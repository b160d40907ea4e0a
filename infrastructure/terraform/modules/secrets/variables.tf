variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "cluster_name" {
  description = "The EKS cluster."
  type        = string
}

variable "key_arn" {
  description = "Key for the values."
  type        = string
}

variable "processes" {
  description = "Whose secrets: the names of the Kubernetes Secrets."
  type        = list(string)
  default = [
    "accounts-postgres", "accounts-rabbitmq", "archive-indexes", "autoscaling", "bridge", "flower",
    "migrate-inventory", "migrate-orders", "migrate-payments", "migrate-users", "notifications-indexes",
    "operations-indexes", "relay", "scheduler", "service-archive", "service-inventory", "service-live",
    "service-notifications", "service-operations", "service-orders", "service-payments", "service-users",
    "topology", "worker-archive", "worker-inventory", "worker-mail", "worker-notifications",
    "worker-operations", "worker-orders", "worker-payments",
  ]
}
