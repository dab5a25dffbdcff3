-- pg-local: the right one
ALTER ROLE postgres PASSWORD '@OTHER@' VALID UNTIL '@VALID@';
CREATE DATABASE warnings;
\c warnings
CREATE ROLE scan LOGIN PASSWORD '@SECRET@' VALID UNTIL '@VALID@';
GRANT pg_read_all_settings, pg_read_all_stats TO scan;
GRANT SELECT ON pg_authid, pg_hba_file_rules TO scan;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO scan;
CREATE ROLE app LOGIN PASSWORD '@OTHER@' VALID UNTIL '@VALID@';
GRANT USAGE ON SCHEMA public TO app;
\c postgres
GRANT SELECT ON pg_authid, pg_hba_file_rules TO scan;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO scan;
