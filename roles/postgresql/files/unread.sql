-- The time of the last change of what the server reads: by rename it is the inode's.
select max(change) + interval '0.01 s' > pg_conf_load_time() as unread
  from (select current_setting('config_file')
        union all select current_setting('hba_file')
        union all select current_setting('ident_file')
        union all select sourcefile from pg_file_settings
        union all select current_setting('ssl_cert_file') where current_setting('ssl')::bool
        union all select current_setting('ssl_key_file') where current_setting('ssl')::bool
       ) as read (file),
       pg_stat_file(file, true)
