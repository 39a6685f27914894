-- Version 1 of perdure's schema. Each attempt of a transaction that changes
-- something leaves a row under its own attempt; a row with a key belongs to a
-- Once and stays until it is forgotten.
create schema if not exists perdure;

create table perdure.outcome (
	attempt   uuid primary key,
	key       text,
	result    jsonb,
	-- Not now(): a transaction that took longer than the retention would leave
	-- a row that may be pruned before anybody has asked for it.
	at        timestamptz not null default clock_timestamp(),
	-- synchronous_commit of the transaction, which may be stricter than its session's.
	level     text,
	-- A tombstone says that the attempt was not committed and never can be.
	tombstone boolean not null default false
);
create unique index outcome_key on perdure.outcome (key) where key is not null;

-- The functions run with the rights of their owner, so that SET ROLE inside a
-- transaction does not break its COMMIT. Their search_path is fixed.

-- mark is sent with COMMIT. It does nothing in a transaction that has changed
-- nothing, except when it is forced (NOTIFY gets its xid inside COMMIT), or when
-- the change may be in another server: a foreign table's gives no xid here.
create function perdure.mark(a uuid, forced boolean default false) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	if not forced and pg_current_xact_id_if_assigned() is null and not exists (select from pg_foreign_server) then
		return false;
	end if;
	if current_setting('transaction_read_only') = 'on' then
		if pg_current_xact_id_if_assigned() is not null and current_setting('default_transaction_read_only') = 'off' then
			raise exception using errcode = 'read_only_sql_transaction',
				message = 'the transaction was made read only after it had changed something: it cannot be marked',
				hint = 'Do not use SET TRANSACTION READ ONLY in it.';
		end if;
		return false;
	end if;
	insert into perdure.outcome (attempt, level) values (a, current_setting('synchronous_commit'));
	return true;
end $$;

-- begin_once takes the key k for the attempt a. It waits for another
-- transaction that holds the key, for wait milliseconds at most (55P03). If the
-- key is taken, the caller's COMMIT waits for synchronous standbys, which may not
-- have the key yet although it can be seen.
create function perdure.begin_once(k text, a uuid, wait integer, out run boolean, out xid text, out result jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = 0 as $$
begin
	perform set_config('lock_timeout', wait::text, true);
	insert into perdure.outcome (attempt, key) values (a, k) on conflict (key) where key is not null do nothing;
	run := found;
	xid := pg_current_xact_id()::text;
	if not run then
		select o.result into result from perdure.outcome o where o.key = k;
		if not found then
			raise exception using errcode = 'serialization_failure', message = 'the key was forgotten meanwhile';
		end if;
		if current_setting('synchronous_standby_names') <> '' then
			perform pg_logical_emit_message(true, 'perdure', '');
		end if;
	end if;
end $$;

-- end_once keeps the result of the attempt a; it is sent with COMMIT.
create function perdure.end_once(a uuid, r jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	update perdure.outcome set result = r, level = current_setting('synchronous_commit') where attempt = a;
	if not found then
		raise exception using errcode = 'serialization_failure', message = 'the key was forgotten meanwhile';
	end if;
end $$;

-- resolve says what became of an attempt. If it is not committed, it never
-- can be from here on: its row is taken. It waits for an open transaction as
-- long as lock_timeout says. Before "committed" it writes a WAL record, whose
-- acknowledgement by synchronous standbys covers the attempt's: at the same
-- level or a stricter one.
create function perdure.resolve(a uuid) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	dead   boolean;
	wanted text;
	levels constant text[] := array['off', 'local', 'remote_write', 'on', 'remote_apply'];
begin
	insert into perdure.outcome (attempt, tombstone) values (a, true) on conflict (attempt) do nothing;
	if found then
		return 'aborted';
	end if;
	select o.tombstone, o.level into dead, wanted from perdure.outcome o where o.attempt = a;
	if not found then
		return 'in progress';
	end if;
	if array_position(levels, wanted) > array_position(levels, current_setting('synchronous_commit')) then
		perform set_config('synchronous_commit', wanted, true);
	end if;
	perform pg_logical_emit_message(true, 'perdure', '');
	return case when dead then 'aborted' else 'committed' end;
exception when lock_not_available then
	return 'in progress';
end $$;

-- prune forgets attempts (never keys) that are older than keep, a few thousand
-- at a time, and returns how many.
create function perdure.prune(keep interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	n bigint;
begin
	if keep < interval '1 hour' or not pg_try_advisory_xact_lock(7310594) then
		return 0;
	end if;
	delete from perdure.outcome where attempt in (
		select o.attempt from perdure.outcome o where o.key is null and o.at < now() - keep order by o.attempt limit 5000);
	get diagnostics n = row_count;
	return n;
end $$;

-- forget frees keys. Their attempts stay until they are pruned: a COMMIT whose
-- reply is lost may still be asked for.
create function perdure.forget(k text[]) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	n bigint;
begin
	update perdure.outcome set key = null, result = null, at = clock_timestamp() where key = any (k);
	get diagnostics n = row_count;
	return n;
end $$;

-- Every role of the database may do its own work exactly once. That the work of
-- another be done again is for the owner to allow.
revoke execute on function perdure.forget(text[]) from public;
grant usage on schema perdure to public;
