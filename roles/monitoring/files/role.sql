do $$
begin
    if not exists (select from pg_roles where rolname = 'prometheus') then
        create role prometheus login connection limit 5;
        grant pg_monitor to prometheus;
        raise notice 'role prometheus was made';
    end if;
end
$$
