# DocumentDB, three instances in three zones, for the archive and the dead letters. Its URLs need `retryWrites=false`.

resource "aws_docdb_subnet_group" "this" {
  name       = "${var.name}-mongodb"
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-mongodb"
  description = "DocumentDB, from the cluster only"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  security_group_id            = aws_security_group.this.id
  description                  = "MongoDB's protocol from the cluster"
  referenced_security_group_id = var.client_security_group
  ip_protocol                  = "tcp"
  from_port                    = 27017
  to_port                      = 27017
}

resource "aws_docdb_cluster_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "docdb5.0"

  parameter {
    name  = "tls"
    value = "enabled"
  }

  parameter {
    name  = "audit_logs"
    value = "enabled"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_docdb_cluster" "this" {
  cluster_identifier              = "${var.name}-mongodb"
  engine                          = "docdb"
  engine_version                  = "5.0.0"
  master_username                 = "administrator"
  manage_master_user_password     = true
  storage_encrypted               = true
  kms_key_id                      = var.key_arn
  db_subnet_group_name            = aws_docdb_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_docdb_cluster_parameter_group.this.name
  enabled_cloudwatch_logs_exports = ["audit", "profiler"]
  backup_retention_period         = 30
  deletion_protection             = true
  skip_final_snapshot             = false
  final_snapshot_identifier       = "${var.name}-mongodb-final"
  apply_immediately               = false
}

resource "aws_docdb_cluster_instance" "this" {
  count                           = 3
  identifier                      = "${var.name}-mongodb-${count.index}"
  cluster_identifier              = aws_docdb_cluster.this.id
  instance_class                  = var.instance_class
  auto_minor_version_upgrade      = true
  enable_performance_insights     = true
  performance_insights_kms_key_id = var.key_arn
}
