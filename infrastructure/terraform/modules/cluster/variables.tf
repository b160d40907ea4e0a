variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "version_number" {
  description = "EKS version."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, one for each zone."
  type        = list(string)
}

variable "api_cidrs" {
  description = "From where the API may be reached besides from within."
  type        = list(string)
}

variable "administrators" {
  description = "ARNs of IAM roles."
  type        = list(string)
}

variable "key_arn" {
  description = "Key for Kubernetes' secrets and the log."
  type        = string
}
