-- Version 2: a marker may be inserted without perdure.mark, which costs more
-- than the row. Whoever may use the function could always write such rows.
do $$ begin
	if has_function_privilege('public', 'perdure.mark(uuid, boolean)', 'execute') then
		grant insert (attempt, level) on perdure.outcome to public;
	end if;
end $$;

-- The same as before, in another order: what is usual is asked first, and each
-- question is a simple expression, which needs no plan.
create or replace function perdure.mark(a uuid, forced boolean default false) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	if pg_current_xact_id_if_assigned() is null then
		if not forced then
			if not exists (select from pg_foreign_server) then
				return false;
			end if;
		end if;
		if current_setting('transaction_read_only') = 'on' then
			return false;
		end if;
	elsif current_setting('transaction_read_only') = 'on' then
		if current_setting('default_transaction_read_only') = 'off' then
			raise exception using errcode = 'read_only_sql_transaction',
				message = 'the transaction was made read only after it had changed something: it cannot be marked',
				hint = 'Do not use SET TRANSACTION READ ONLY in it.';
		end if;
		return false;
	end if;
	insert into perdure.outcome (attempt, level) values (a, current_setting('synchronous_commit'));
	return true;
end $$;
