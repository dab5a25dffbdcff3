# MariaDB, weak; db-04 (raised with the troublesome hosts) is the twin. What is wrong inside it stands in db-01.sql.
printf '[mysqld]\nbind-address = 0.0.0.0\nlocal_infile = ON\ninnodb_buffer_pool_size = 16M\n' > /etc/mysql/mariadb.conf.d/90-lab.cnf
