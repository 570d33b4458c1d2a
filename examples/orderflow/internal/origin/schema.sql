-- Understood by SQLite and PostgreSQL alike.

CREATE TABLE products (
	id          BIGINT PRIMARY KEY,
	sku         TEXT   NOT NULL UNIQUE,
	name        TEXT   NOT NULL,
	category    TEXT   NOT NULL,
	description TEXT   NOT NULL,
	price_cents BIGINT NOT NULL,
	-- Goes up with every committed change. It lets a client see how old an
	-- answer is.
	version     BIGINT NOT NULL
);

CREATE INDEX products_by_category ON products (category, id);

-- Apart from products: stock changes with every order, details hardly ever.
CREATE TABLE stock (
	product_id BIGINT PRIMARY KEY REFERENCES products (id),
	level      BIGINT NOT NULL CHECK (level >= 0)
);

CREATE TABLE customers (
	id    BIGINT PRIMARY KEY,
	name  TEXT NOT NULL,
	email TEXT NOT NULL
);

CREATE TABLE orders (
	id          TEXT   PRIMARY KEY,
	customer_id BIGINT NOT NULL REFERENCES customers (id),
	placed_at   BIGINT NOT NULL, -- milliseconds since 1970, UTC
	total_cents BIGINT NOT NULL
);

CREATE INDEX orders_by_customer ON orders (customer_id, placed_at);

CREATE TABLE order_lines (
	order_id    TEXT   NOT NULL REFERENCES orders (id),
	product_id  BIGINT NOT NULL REFERENCES products (id),
	quantity    BIGINT NOT NULL CHECK (quantity > 0),
	price_cents BIGINT NOT NULL,
	PRIMARY KEY (order_id, product_id)
);
