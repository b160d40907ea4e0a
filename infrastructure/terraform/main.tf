# Holdfast's servers and its cluster in one AWS region, over three availability zones.

module "encryption" {
  source = "./modules/encryption"
  name   = var.name
  region = var.region
}

module "network" {
  source  = "./modules/network"
  name    = var.name
  cidr    = var.vpc_cidr
  zones   = var.zones
  key_arn = module.encryption.key_arn
}

module "cluster" {
  source         = "./modules/cluster"
  name           = var.name
  version_number = var.kubernetes_version
  subnet_ids     = module.network.private_subnet_ids
  api_cidrs      = var.api_cidrs
  administrators = var.administrators
  key_arn        = module.encryption.key_arn
}

module "postgres" {
  source                = "./modules/postgres"
  name                  = var.name
  vpc_id                = module.network.vpc_id
  subnet_ids            = module.network.server_subnet_ids
  instance_class        = var.postgres_instance
  key_arn               = module.encryption.key_arn
  client_security_group = module.cluster.security_group_id
}

module "rabbitmq" {
  source                = "./modules/rabbitmq"
  name                  = var.name
  vpc_id                = module.network.vpc_id
  subnet_ids            = module.network.server_subnet_ids
  instance_type         = var.rabbitmq_instance
  first_password        = var.rabbitmq_first_password
  client_security_group = module.cluster.security_group_id
}

module "mongodb" {
  source                = "./modules/mongodb"
  name                  = var.name
  vpc_id                = module.network.vpc_id
  subnet_ids            = module.network.server_subnet_ids
  instance_class        = var.mongodb_instance
  key_arn               = module.encryption.key_arn
  client_security_group = module.cluster.security_group_id
}

module "registry" {
  source  = "./modules/registry"
  name    = var.name
  key_arn = module.encryption.key_arn
}

module "secrets" {
  source       = "./modules/secrets"
  name         = var.name
  cluster_name = module.cluster.name
  key_arn      = module.encryption.key_arn
}
