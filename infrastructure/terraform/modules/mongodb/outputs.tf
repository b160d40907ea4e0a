output "host" {
  description = "Where it listens, on 27017 with TLS."
  value       = aws_docdb_cluster.this.endpoint
}

output "administrator_secret_arn" {
  description = "Where AWS keeps the administrator's password."
  value       = aws_docdb_cluster.this.master_user_secret[0].secret_arn
}
