"""
A PostgreSQL that passes for a Citus coordinator: its catalogue and functions, no shards.

So the statements meant for Citus run everywhere, and `meterbook database distribute` is held to
Citus' rules. What a cluster does with them is seen on one: METERBOOK_TEST_CITUS.
"""

import psycopg

SHARDS = 4
FIRST_SHARD = 102008
_CATALOGUE = """
CREATE TABLE pg_dist_node (groupid int, nodename text, isactive bool, shouldhaveshards bool);
CREATE TABLE pg_dist_placement (placementid int, shardid bigint, groupid int);
CREATE TABLE pg_dist_partition (
    logicalrelid regclass PRIMARY KEY, partmethod "char", repmodel "char", partkey text,
    colocated_with text, shard_count int);

CREATE FUNCTION require_free(moved regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND moved IN (conrelid, confrelid))
    THEN RAISE EXCEPTION '% has foreign keys with tables that are still local', moved; END IF;
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = moved AND NOT tgisinternal)
    THEN RAISE EXCEPTION '% has triggers', moved; END IF;
END $$;

CREATE FUNCTION create_reference_table(moved regclass) RETURNS void LANGUAGE sql AS $$
    SELECT require_free(moved);
    INSERT INTO pg_dist_partition VALUES (moved, 'n', 't');
$$;

CREATE FUNCTION create_distributed_table(
    moved regclass, distribution_column text, distribution_type text DEFAULT 'hash',
    colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM require_free(moved);
    IF EXISTS (
        SELECT FROM pg_index WHERE indrelid = moved AND indisunique AND NOT (
            SELECT attnum FROM pg_attribute
            WHERE attrelid = moved AND attname = distribution_column) = ANY (indkey::int2[]))
    THEN RAISE EXCEPTION 'a key of % is without %', moved, distribution_column; END IF;
    INSERT INTO pg_dist_partition
    VALUES (moved, 'h', 's', distribution_column, colocate_with, shard_count);
END $$;

CREATE FUNCTION truncate_local_data_after_distributing_table(moved regclass) RETURNS void
LANGUAGE sql AS $$ SELECT $$;
CREATE FUNCTION get_shard_id_for_distribution_column(moved regclass, id bigint) RETURNS bigint
LANGUAGE sql AS $$ SELECT {first_shard} + abs(hashint8(id)) %% {shards} $$;
CREATE FUNCTION recover_prepared_transactions() RETURNS int LANGUAGE sql AS $$ SELECT 0 $$;
CREATE FUNCTION run_command_on_workers(command text)
RETURNS TABLE (nodename text, nodeport int, success bool, result text)
LANGUAGE sql AS $$ SELECT 'worker', 5432, true, 'on' $$;
"""


def pretend_citus(url: str, *, coordinator: bool = True, workers: int = 2) -> None:
    """Make the database at the URL look like a coordinator's."""
    nodes = [(0, False)] * coordinator + [(number, True) for number in range(1, workers + 1)]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(
            _CATALOGUE.replace("{shards}", str(SHARDS))
            .replace("{first_shard}", str(FIRST_SHARD))
            .replace("%%", "%")
            .encode()
        )
        for group, holds_shards in nodes:
            server.execute(
                "INSERT INTO pg_dist_node VALUES (%s, 'node', true, %s)", (group, holds_shards)
            )
        for shard in range(SHARDS):
            place = (shard, FIRST_SHARD + shard, 1 + shard % max(workers, 1))
            server.execute("INSERT INTO pg_dist_placement VALUES (%s, %s, %s)", place)
