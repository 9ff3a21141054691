import Foundation
import Testing

extension RealServers {
  /// Which keys a committed change deletes, and which not.
  @Suite struct Keys {
    @Test(
      "insert, update and delete remove the keys of their row and no other", arguments: Installation.modes)
    func rowChanges(mode: String) throws {
      let installation = try Installation(mode: mode)
      let keys = ["user:1", "user:email:ada@example.org", "user:2", "user:email:", "unrelated"]
      let gone = Array(keys.prefix(2))
      for sql in [
        "INSERT INTO users VALUES (1, 'Ada@Example.org', 'Ada')",
        "UPDATE users SET name = 'Ada Lovelace' WHERE id = 1",
        "DELETE FROM users WHERE id = 1",
      ] {
        #expect(try installation.keysGone(of: keys, after: sql) == gone, "\(sql)")
      }
    }

    @Test(
      "with REPLICA IDENTITY FULL a changed e-mail removes the key of the old and of the new one",
      arguments: Installation.modes)
    func oldAndNewValue(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.postgres.query("INSERT INTO users VALUES (1, 'old@example.org'), (2, 'x@example.org')")
      #expect(
        try installation.keysGone(
          of: [
            "user:1", "user:email:old@example.org", "user:email:new@example.org", "user:email:x@example.org",
          ],
          after: "UPDATE users SET email = 'new@example.org' WHERE id = 1")
          == ["user:1", "user:email:old@example.org", "user:email:new@example.org"])
    }

    @Test("NULL gives no key: neither an empty one nor a guessed one", arguments: Installation.modes)
    func nullGivesNoKey(mode: String) throws {
      let installation = try Installation(mode: mode)
      let keys = ["user:1", "user:email:a@example.org", "user:email:", "user:email:null"]
      #expect(
        try installation.keysGone(of: keys, after: "INSERT INTO users VALUES (1, NULL, 'Ada')") == ["user:1"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE users SET email = 'a@example.org'")
          == ["user:1", "user:email:a@example.org"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE users SET email = NULL")
          == ["user:1", "user:email:a@example.org"])
    }

    @Test(
      "a composite key has all its columns, and a changed primary key removes the old and the new key",
      arguments: Installation.modes)
    func compositeKeyAndPrimaryKeyChange(mode: String) throws {
      let installation = try Installation(mode: mode)
      let keys = ["order:{7}:item:1", "order:{7}:item:2", "order:{8}:item:1", "order:{71}:item:1"]
      #expect(
        try installation.keysGone(of: keys, after: "INSERT INTO order_items VALUES (7, 1, 'a', 1)")
          == ["order:{7}:item:1"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE order_items SET line = 2")
          == ["order:{7}:item:1", "order:{7}:item:2"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE order_items SET order_id = 8, line = 1")
          == ["order:{7}:item:2", "order:{8}:item:1"])
      #expect(
        try installation.keysGone(of: keys, after: "DELETE FROM order_items") == ["order:{8}:item:1"])
    }

    @Test(
      "quoted, mixed-case and reserved names, and values of every kind of byte", arguments: Installation.modes
    )
    func quotedNames(mode: String) throws {
      let installation = try Installation(mode: mode)
      let table = #""Shop"."Line ""Items""""#
      let keys = ["Item:1:größe {x} *", "Price:1.50 €", "Item:1:other", "item:1:größe {x} *"]
      #expect(
        try installation.keysGone(of: keys, after: "INSERT INTO \(table) VALUES (1, '1.50 €', 'größe {x} *')")
          == Array(keys.prefix(2)))
      #expect(
        try installation.keysGone(of: keys, after: #"UPDATE \#(table) SET "select" = 'other'"#)
          == Array(keys.prefix(3)))
    }

    @Test(
      "an unchanged TOAST value, which PostgreSQL leaves out of the new row, still gives its key",
      arguments: Installation.modes)
    func unchangedToast(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.postgres.query(
        "INSERT INTO documents SELECT 1, 'title', string_agg(md5(n::text), '') FROM generate_series(1, 500) n"
      )
      let digest = try installation.postgres.value("SELECT md5(body) FROM documents")
      #expect(
        try installation.keysGone(
          of: ["document:1", "content:\(digest)", "content:"],
          after: "UPDATE documents SET title = 'another'") == ["document:1", "content:\(digest)"])
      #expect(
        try installation.keysGone(of: ["document:1", "content:\(digest)"], after: "DELETE FROM documents")
          == ["document:1", "content:\(digest)"])
    }

    @Test("aborted transactions and rolled back savepoints remove nothing", arguments: Installation.modes)
    func aborted(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.postgres.query(
        "INSERT INTO users SELECT n, n || '@example.org' FROM generate_series(1, 9) n")
      #expect(
        try installation.keysGone(
          of: ["user:1", "user:2", "user:3", "user:4"],
          after: """
            BEGIN; UPDATE users SET name = 'x' WHERE id = 1; ROLLBACK;
            BEGIN; UPDATE users SET name = 'x' WHERE id = 2;
            SAVEPOINT s; UPDATE users SET name = 'x' WHERE id = 3; ROLLBACK TO s;
            UPDATE users SET name = 'x' WHERE id = 4; COMMIT
            """) == ["user:2", "user:4"])
    }

    @Test(
      "COPY, a transaction over several tables, and one of many rows remove every key",
      arguments: Installation.modes)
    func copyAndManyTables(mode: String) throws {
      let installation = try Installation(mode: mode)
      #expect(
        try installation.keysGone(
          of: ["user:1", "user:2", "user:3", "user:email:b@example.org"],
          after: #"COPY users (id, email) FROM PROGRAM 'printf "1\ta@example.org\n2\tb@example.org\n"'"#)
          == ["user:1", "user:2", "user:email:b@example.org"])
      #expect(
        try installation.keysGone(
          of: ["user:1", "order:{1}:item:1", "order:1", "document:1", "user:2"],
          after: """
            BEGIN; UPDATE users SET name = 'x' WHERE id = 1; INSERT INTO order_items VALUES (1, 1, 'a', 1);
            INSERT INTO orders VALUES (1, 1, 'paid', 10); INSERT INTO documents VALUES (1, 't', 'b'); COMMIT
            """) == ["user:1", "order:{1}:item:1", "order:1", "document:1"])
      let many = stride(from: 100, to: 20_000, by: 97).map { "user:\($0)" }
      #expect(
        try installation.keysGone(
          of: many + ["user:20001"], after: "INSERT INTO users SELECT n FROM generate_series(100, 20000) n")
          == many)
    }

    @Test(
      "where: looks at the old and the new row, when_changed: ignores updates of other columns",
      arguments: Installation.modes)
    func conditions(mode: String) throws {
      let installation = try Installation(mode: mode)
      let change = { try installation.keysGone(of: ["order:1"], after: $0) }
      #expect(try change("INSERT INTO orders VALUES (1, 7, 'new', 10)") == [])
      #expect(try change("UPDATE orders SET total = 11") == [])
      #expect(try change("UPDATE orders SET status = 'paid'") == ["order:1"])
      #expect(try change("UPDATE orders SET user_id = 8") == [])
      #expect(try change("UPDATE orders SET total = total") == [])
      #expect(try change("UPDATE orders SET total = 12") == ["order:1"])
      #expect(try change("UPDATE orders SET status = 'new'") == ["order:1"])
      #expect(try change("DELETE FROM orders") == [])
    }

    @Test("TRUNCATE removes every key of its table and none of another", arguments: Installation.modes)
    func truncate(mode: String) throws {
      let installation = try Installation(mode: mode)
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a@example.org')")
      #expect(
        try installation.keysGone(
          of: ["user:1", "user:email:a@example.org", "user:77", "document:1", "unrelated"],
          after: "TRUNCATE users") == ["user:1", "user:email:a@example.org", "user:77"])
    }
  }
}
