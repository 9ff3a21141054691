/// The tables and rules that most tests use.
enum ExampleTables {
  static let schema = #"""
    CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
    ALTER TABLE users REPLICA IDENTITY FULL;
    CREATE TABLE documents (id bigint PRIMARY KEY, title text, body text);
    ALTER TABLE documents REPLICA IDENTITY FULL;
    ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
    CREATE TABLE order_items (
      order_id bigint, line int, sku text, quantity int, PRIMARY KEY (order_id, line));
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, status text, total numeric);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE SCHEMA "Shop";
    CREATE TABLE "Shop"."Line ""Items""" ("Id" bigint PRIMARY KEY, "Unit Price" text, "select" text);
    ALTER TABLE "Shop"."Line ""Items""" REPLICA IDENTITY FULL;
    CREATE TABLE unruled (id bigint PRIMARY KEY);
    """#

  static let rules = #"""
      - table: public.users
        keys: ["user:{id}", "user:email:{email|lower}"]
      - table: public.order_items
        keys: ["order:{{{order_id}}}:item:{line}"]
      - name: paid
        table: public.orders
        when_changed: [status, total]
        where: {status: [paid, shipped]}
        keys: ["order:{id}"]
      - table: '"Shop"."Line ""Items"""'
        keys: ["Item:{Id}:{select}", "Price:{Unit Price}"]
      - table: public.documents
        keys: ["document:{id}", "content:{body|md5}"]
    """#
}
