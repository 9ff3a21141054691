import Foundation
import Testing

extension RealServers {
  /// DDL after which a column that a `where` tests prints otherwise.
  @Suite struct Conditions {
    private static let schema = """
      CREATE TYPE mood AS ENUM ('good', 'bad', 'odd');
      CREATE DOMAIN temper AS mood;
      CREATE TYPE pair AS (first mood, second int);
      CREATE TABLE prices (id int PRIMARY KEY, amount numeric, mood mood, temper temper, moods mood[], pair pair);
      ALTER TABLE prices REPLICA IDENTITY FULL;
      INSERT INTO prices VALUES (1, 1.5, 'good', 'good', '{good}', '(good,1)'), (2, 7, 'odd', 'odd', '{odd}', '(odd,1)');
      """

    private func rules(_ amount: String) -> String {
      """
        - {name: prices, table: prices, keys: ['price:{id}'], where: {amount: ['\(amount)']}}
        - {name: moods, table: prices, keys: ['mood:{id}'], where: {mood: [good], temper: [good]}}
        - {name: lists, table: prices, keys: ['list:{id}'], where: {moods: ['{good}'], pair: ['(good,1)']}}
        - {name: all, table: prices, keys: ['all:{id}']}

      """
    }

    private func installation(mode: String = Installation.mode, triggers: Bool = true) throws -> Installation
    {
      var options = Installation.Options()
      options.mode = mode
      options.schema += Self.schema
      options.rules = rules("1.5")
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if !triggers { try installation.dropEventTriggers() }
      try installation.startCDCD().waitUntilReady()
      return installation
    }

    /// The rules whose `where` counts as met.
    private func doubted(_ installation: Installation) throws -> Set<String> {
      let body = try installation.cdcd.get("/readyz").body
      return Set(["prices", "moods", "lists"].filter { body.contains("rule \($0): the type of a column") })
    }

    @Test(
      "a where that the new type never prints counts as met until the rule is mended",
      arguments: Installation.modes)
    func changedType(mode: String) throws {
      let installation = try installation(mode: mode)
      let touched = "UPDATE prices SET amount = amount"
      #expect(
        try installation.keysGone(of: ["price:1", "price:2", "all:2"], after: touched) == [
          "price:1", "all:2",
        ])
      let redis = try installation.redis.client()
      try redis("SET", "price:1", "cached")
      try installation.postgres.query(
        "BEGIN; ALTER TABLE prices ALTER amount TYPE numeric(10, 2); \(touched) WHERE id = 1; COMMIT")
      try installation.expectSettled()
      #expect(try !redis.exists("price:1"))
      #expect(try installation.keysGone(of: ["price:1", "mood:2"], after: touched) == ["price:1"])
      #expect(try doubted(installation) == ["prices"])
      #expect(try installation.cdcd.get("/readyz").status == 200)

      try installation.reload(rules("1.5"))
      try installation.expectLog("which PostgreSQL never prints for the type numeric(10,2)")
      #expect(try doubted(installation) == ["prices"])
      try installation.reload(rules("1.50"))
      try installation.expectLog("the rules were replaced: 3 as before, 1 new or changed, 1 gone")
      try installation.expectSettled()
      #expect(try doubted(installation).isEmpty)
      #expect(
        try installation.keysGone(of: ["price:1", "price:2", "all:2"], after: touched) == [
          "price:1", "all:2",
        ])
    }

    @Test("without the event triggers the next change tells")
    func untold() throws {
      let installation = try installation(triggers: false)
      try installation.postgres.query("UPDATE prices SET amount = amount")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      try redis("SET", "price:1", "cached")
      try installation.postgres.query("ALTER TABLE prices ALTER amount TYPE numeric(10, 2)")
      let touched = "UPDATE prices SET amount = amount WHERE id = 1"
      try installation.postgres.query("\(touched); \(touched)")
      try installation.expectSettled()
      #expect(try !redis.exists("price:1"))
      #expect(try doubted(installation) == ["prices"])
    }

    static let commands: [(sql: String, doubted: Set<String>)] = [
      ("ALTER TABLE prices ADD note text; ALTER TABLE prices ALTER id TYPE bigint", []),
      ("ALTER TYPE mood ADD VALUE 'new'", ["lists"]),
      ("ALTER TYPE mood RENAME VALUE 'bad' TO 'worse'", ["lists"]),
      ("ALTER TYPE mood RENAME VALUE 'good' TO 'best'", ["moods", "lists"]),
      ("ALTER TYPE pair ADD ATTRIBUTE third int", ["lists"]),
      ("ALTER TABLE prices ALTER temper TYPE text", ["moods"]),
    ]

    @Test("only DDL that may print a tested column otherwise puts a where in doubt", arguments: commands)
    func inDoubt(sql: String, doubted expected: Set<String>) throws {
      let installation = try installation()
      try installation.expectSettled()
      for statement in sql.split(separator: ";") { try installation.postgres.query(String(statement)) }
      try installation.expectSettled()
      #expect(try doubted(installation) == expected)
    }
  }
}
