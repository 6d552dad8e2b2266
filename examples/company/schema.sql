-- SPDX-License-Identifier: Apache-2.0
-- The tables that lethe.yml is about.
CREATE TABLE users (id BIGINT PRIMARY KEY, username TEXT NOT NULL UNIQUE, email TEXT NOT NULL UNIQUE, password TEXT);
CREATE TABLE sessions (token TEXT PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users);
CREATE TABLE profiles (user_id BIGINT PRIMARY KEY REFERENCES users, born DATE, about TEXT);
CREATE TABLE invoices (id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users, customer_name TEXT, customer_email TEXT, cents BIGINT);
