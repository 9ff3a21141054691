import Foundation
import Testing

extension RealServers {
  /// Every source mode deletes the same keys for the same changes, byte for byte as PostgreSQL prints the columns.
  @Suite struct OneTruth {
    static let values: [(type: String, values: [String])] = [
      ("boolean", ["true", "false"]), ("smallint", ["-5"]), ("integer", ["7"]),
      ("bigint", ["9223372036854775807"]),
      ("numeric", ["1.50", "12345678901234567890.1234567890", "'NaN'"]), ("numeric(10,2)", ["1.5"]),
      ("real", ["1.1", "'Infinity'", "'NaN'"]),
      ("double precision", ["0.1::float8 + 0.2", "1e300", "'-Infinity'"]),
      ("text", ["E'line\\n tab\\t quote\" back\\\\ é 😀 / \\u0001'", "''"]), ("char(5)", ["'ab'"]),
      ("varchar(9)", ["'v'"]),
      ("bytea", ["'\\x00ff'"]), ("timestamp", ["'2024-01-31 12:00:00.5'"]),
      ("timestamptz", ["'2024-01-31 12:00:00+05:45'"]), ("date", ["'0044-03-15 BC'"]),
      ("interval", ["'1 year 2 days'"]),
      ("time", ["'12:34:56.789'"]), ("uuid", ["'00000000-0000-0000-0000-00000000000A'"]),
      ("json", ["'{\"a\": 1.0}'"]),
      ("jsonb", ["'{\"a\": 1.0, \"b\": null}'"]), ("text[]", ["ARRAY['a', 'b\"c', NULL]"]),
      ("numeric[]", ["'{1.50,NaN}'"]),
      ("int4range", ["'[1,5)'"]), ("money", ["12.5"]), ("bit(3)", ["B'101'"]), ("inet", ["'10.0.0.1/8'"]),
      ("oid", ["42"]),
      ("point", ["'(1,2)'"]), ("xml", ["'<a/>'"]), ("mood", ["'b\"ad'"]), ("dbytea", ["'\\x01'"]),
      ("dboolean", ["true"]),
      ("dfloat", ["'NaN'", "1.5"]),
    ]

    /// PostgreSQL can be built without it.
    private static func hasXML(_ postgres: PostgresServer) -> Bool {
      (try? postgres.value("SELECT '<a/>'::xml")) != nil
    }

    private func installation(_ mode: String) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      let columns = Self.values.indices.map { "c\($0) \(Self.values[$0].type)" }.joined(separator: ", ")
      options.schema = """
        CREATE TYPE mood AS ENUM ('good', 'b"ad'); CREATE DOMAIN dbytea AS bytea; CREATE DOMAIN dboolean AS boolean;
        CREATE DOMAIN dfloat AS float8;
        CREATE TABLE types (id int PRIMARY KEY, \(columns)); ALTER TABLE types REPLICA IDENTITY FULL
        """
      options.rules = Self.values.indices.map { "- {name: r\($0), table: types, keys: ['c\($0):{c\($0)}']}" }
        .joined(separator: "\n")
      return try Installation(options)
    }

    @Test("every built-in type", arguments: Installation.modes)
    func types(mode: String) throws {
      let installation = try installation(mode)
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      try session.rows(
        "SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'"
      )
      var id = 0
      let hasXML = Self.hasXML(installation.postgres)
      for (index, type) in Self.values.enumerated() where type.type != "xml" || hasXML {
        for value in type.values {
          id += 1
          try session.rows("INSERT INTO types (id, c\(index)) VALUES (\(id), \(value))")
          let text = try session.value("SELECT format('%s', c\(index)) FROM types WHERE id = \(id)")
          try installation.expectSettled()
          let key = "c\(index):" + text
          for key in [key, "other"] { try redis("SET", key, "cached") }
          try session.rows("DELETE FROM types WHERE id = \(id)")
          try installation.expectSettled()
          #expect(try !redis.exists(key), "\(type.type): \(key)")
          #expect(try redis.exists("other"))
        }
      }
    }

    @Test("the same statements delete the same keys")
    func statements() throws {
      let statements = [
        "INSERT INTO users SELECT n, 'U' || n || '@x', 'a' FROM generate_series(1, 5) n",
        "COPY users FROM PROGRAM 'echo 6,U6@x,b' WITH (FORMAT csv)",
        "UPDATE users SET email = 'changed@x' WHERE id = 1", "UPDATE users SET id = 20 WHERE id = 2",
        "INSERT INTO users VALUES (3, 'u@x', 'z') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
        "MERGE INTO users u USING (VALUES (4), (9)) AS v (id) ON u.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'm@x', 'm')",
        "BEGIN; DELETE FROM users WHERE id = 5; SAVEPOINT a; DELETE FROM users WHERE id = 6; ROLLBACK TO a; COMMIT",
        "BEGIN; DELETE FROM users; ROLLBACK",
        "INSERT INTO documents VALUES (1, 'a', repeat('x', 9000))", "UPDATE documents SET title = 'b'",
        "DELETE FROM documents", "TRUNCATE users",
      ]
      let keys =
        (1...20).flatMap { ["user:\($0)", "user:email:u\($0)@x"] }
        + ["user:email:changed@x", "user:email:u@x", "user:email:m@x", "document:1"]
      let answers = try Installation.modes.map { mode in
        let installation = try Installation(mode: mode)
        return try statements.map { try installation.keysGone(of: keys, after: $0) }
      }
      for (index, statement) in statements.enumerated() {
        #expect(Set(answers.map { $0[index] }).count == 1, "\(statement): \(answers.map { $0[index] })")
      }
      #expect(answers[0][5] == ["user:4", "user:email:u4@x", "user:9", "user:email:m@x"])
    }
  }
}
