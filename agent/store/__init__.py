"""The one database, state/agent.db or PostgreSQL: schema, migrations, transactions."""
