-- A setting that is right and needs a restart could not be applied either.
select 'wrong' as kind, format('%s line %s: %s %s', sourcefile, sourceline, name, error) as what
  from pg_file_settings f
 where error is not null
   and not exists (select from pg_settings s where s.name = f.name and s.pending_restart)
union all
select 'wrong', format('pg_hba.conf line %s: %s', line_number, error)
  from pg_hba_file_rules where error is not null
union all
select 'restart', name from pg_settings where pending_restart
order by 1, 2
