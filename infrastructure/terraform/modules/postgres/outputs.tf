output "host" {
  description = "Where it listens, on 5432."
  value       = aws_db_instance.this.address
}

output "administrator_secret_arn" {
  description = "Where AWS keeps the administrator's password."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}
