select 'wrong' as kind, format('%s line %s: %s %s', sourcefile, sourceline, name, error) as what
  from pg_file_settings where error is not null and error not like '%cannot be changed without restarting%'
union all
select 'wrong', format('pg_hba.conf line %s: %s', line_number, error)
  from pg_hba_file_rules where error is not null
union all
select 'restart', name from pg_settings where pending_restart
order by 1, 2
