"""Ansible: the module here, and roles and playbooks on hosts with systemd."""
