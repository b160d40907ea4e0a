output "names" {
  description = "The secrets, to be filled."
  value       = [for secret in aws_secretsmanager_secret.process : secret.name]
}
