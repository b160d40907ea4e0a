variable "name" {
  description = "What everything is called; two installations in one account need two names."
  type        = string
  default     = "holdfast"
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "zones" {
  description = "Three availability zones of the region, by name."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 3
    error_message = "Three zones: a set of three servers survives the loss of one."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the network; a /16."
  type        = string
  default     = "10.40.0.0/16"
}

variable "administrators" {
  description = "ARNs of the IAM roles that administer the cluster. Whoever creates it gets nothing by that."
  type        = list(string)
}

variable "api_cidrs" {
  description = "From where the cluster's API may be reached besides from within. Empty: from within only."
  type        = list(string)
  default     = []
}

variable "certificate_arn" {
  description = "The certificate (ACM) with which the load balancer answers."
  type        = string
}

variable "host" {
  description = "The host name of the API."
  type        = string
}

variable "kubernetes_version" {
  description = "EKS version; 1.35 or later."
  type        = string
  default     = "1.35"
}

variable "postgres_instance" {
  description = "RDS instance class. docs/capacity.md says which for what load."
  type        = string
  default     = "db.m7g.large"
}

variable "rabbitmq_instance" {
  description = "Amazon MQ instance type; of the m7g family, which RabbitMQ 4 asks for."
  type        = string
  default     = "mq.m7g.large"
}

variable "rabbitmq_first_password" {
  description = "Password of the broker's administrator until it is changed by hand; 12 to 250 characters."
  type        = string
  sensitive   = true
}

variable "mongodb_instance" {
  description = "DocumentDB instance class."
  type        = string
  default     = "db.r8g.large"
}
