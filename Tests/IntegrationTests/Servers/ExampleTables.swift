/// The tables and rules that most tests use.
enum ExampleTables {
  static let schema = """
    CREATE TABLE users (id bigint PRIMARY KEY, email text, name text, biography text);
    ALTER TABLE users REPLICA IDENTITY FULL;
    ALTER TABLE users ALTER biography SET STORAGE EXTERNAL;
    CREATE TABLE order_items (
      order_id bigint, line int, sku text, quantity int, PRIMARY KEY (order_id, line));
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, status text, total numeric);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE SCHEMA "Shop";
    CREATE TABLE "Shop"."LineItems" ("Id" bigint PRIMARY KEY, "select" text);
    ALTER TABLE "Shop"."LineItems" REPLICA IDENTITY FULL;
    CREATE TABLE unruled (id bigint PRIMARY KEY);
    """

  static let rules = """
      - table: public.users
        keys: ["user:{id}", "user:email:{email|lower}"]
      - table: public.order_items
        keys: ["order:{{{order_id}}}:item:{line}"]
      - name: paid
        table: public.orders
        when_changed: [status, total]
        where: {status: [paid, shipped]}
        keys: ["order:{id}"]
      - table: Shop.LineItems
        keys: ["Item:{Id}:{select}"]
    """
}
