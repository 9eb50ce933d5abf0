-- A role and a database for Galerne on PostgreSQL 15. Run as superuser; may be run again:
--
--   sudo -u postgres psql -v ON_ERROR_STOP=1 -v role=galerne -v database=galerne -f postgresql.sql
--   sudo -u postgres psql -c '\password galerne'
--
-- The role must not be superuser and must not bypass row-level security: either would switch off the second of
-- the two things that keep tenants apart, without any sign. It owns the tables; security is forced, so that it
-- binds the owner too.

SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec

ALTER ROLE :"role" NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION;

SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
