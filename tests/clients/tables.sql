-- What the client programs of this folder work on. Each table's comment says where its rows lie when there are several shards.
-- To try a program by hand: create a database on any MySQL server, load this file into it, and start the program with
-- host, port, user, password, database and the number of shards (1 for a MySQL server itself).

CREATE TABLE every_type (
    id INT NOT NULL PRIMARY KEY,
    c_tinyint TINYINT, c_utinyint TINYINT UNSIGNED,
    c_smallint SMALLINT, c_usmallint SMALLINT UNSIGNED,
    c_mediumint MEDIUMINT, c_umediumint MEDIUMINT UNSIGNED,
    c_int INT, c_uint INT UNSIGNED,
    c_bigint BIGINT, c_ubigint BIGINT UNSIGNED,
    c_decimal DECIMAL(40,10), c_float FLOAT, c_double DOUBLE,
    c_bit BIT(12), c_bit64 BIT(64),
    c_char CHAR(10), c_varchar VARCHAR(200), c_latin1 VARCHAR(20) CHARACTER SET latin1,
    c_tinytext TINYTEXT, c_text TEXT, c_mediumtext MEDIUMTEXT, c_longtext LONGTEXT,
    c_binary BINARY(8), c_varbinary VARBINARY(300),
    c_tinyblob TINYBLOB, c_blob BLOB, c_mediumblob MEDIUMBLOB, c_longblob LONGBLOB,
    c_enum ENUM('small', 'medium', 'größer'), c_set SET('a', 'b', 'c'), c_json JSON,
    c_date DATE, c_time TIME(6), c_time0 TIME, c_datetime DATETIME, c_datetime6 DATETIME(6),
    c_timestamp TIMESTAMP(6) NULL, c_year YEAR
) DEFAULT CHARSET utf8mb4 COMMENT 'podway: shard by (id)';

CREATE TABLE accounts (
    id BIGINT NOT NULL PRIMARY KEY,
    owner VARCHAR(40),
    balance INT NOT NULL
) DEFAULT CHARSET utf8mb4 COMMENT 'podway: shard by (id)';

CREATE TABLE entries (
    account_id BIGINT NOT NULL,
    n INT NOT NULL,
    note VARCHAR(40),
    PRIMARY KEY (account_id, n),
    CONSTRAINT entry_of_account FOREIGN KEY (account_id) REFERENCES accounts (id)
) DEFAULT CHARSET utf8mb4 COMMENT 'podway: shard by (account_id)';

CREATE TABLE blobs (
    id INT NOT NULL PRIMARY KEY,
    body LONGBLOB
) COMMENT 'podway: shard by (id)';

CREATE TABLE settings (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(40) NOT NULL UNIQUE,
    n TINYINT
) DEFAULT CHARSET utf8mb4 COMMENT 'podway: home';

CREATE TABLE countries (
    code CHAR(2) NOT NULL PRIMARY KEY,
    name VARCHAR(40) NOT NULL
) DEFAULT CHARSET utf8mb4 COMMENT 'podway: reference';

INSERT INTO countries VALUES ('AT', 'Österreich'), ('JP', '日本'), ('US', 'United States');

-- Where routines can be called: over one shard, and on a MySQL server itself.
CREATE PROCEDURE two_results(IN n INT)
BEGIN
    SELECT n;
    SELECT n + 1, 'second';
END;
