-- Nothing but what is wrong.
select format('pg_hba.conf line %s lets %s in by %s', line_number, user_name, auth_method) as wrong
  from pg_hba_file_rules
 where auth_method in ('trust', 'password', 'md5', 'ident')
union all
select format('role %s has a password that is not SCRAM', rolname)
  from pg_authid where rolpassword is not null and rolpassword not like 'SCRAM-SHA-256$%'
union all
select 'password_encryption is ' || current_setting('password_encryption')
 where current_setting('password_encryption') <> 'scram-sha-256'
