import Testing

extension RealServers {
  /// Rows of any width, in one transaction after the other, over TCP. The narrow window of a near connection has to hold the
  /// largest segment that a server may send, or the stream stands still for 0.2 s at a time. `Tests/run` runs this once more in
  /// a network namespace where windows are large from the beginning (`net.ipv4.tcp_rmem`).
  @Suite struct RowWidths {
    private static let bytes = [10, 100, 560, 1_000, 2_000, 6_000]
    private static let transactions = 60
    private static let rowsEach = 100

    @Test(
      "a flood of rows never stands still, and a lone change behind it goes at once",
      arguments: Installation.modes)
    func flood(mode: String) throws {
      var options = Installation.Options()
      options.mode = mode
      options.schema = """
        CREATE TABLE pages (id int PRIMARY KEY, body text NOT NULL);
        ALTER TABLE pages ALTER COLUMN body SET STORAGE PLAIN
        """
      options.rules = "  - {table: public.pages, keys: [\"page:{id}\"]}"
      let installation = try Installation(options)
      for width in Self.bytes {
        try write(rowsOf: width, into: installation)
        try installation.expectSettled(within: .seconds(10))
        let gone = try installation.keysGone(of: ["page:0"], after: "INSERT INTO pages VALUES (0, '')")
        #expect(gone == ["page:0"], "after rows of \(width) bytes")
        try installation.postgres.query("DELETE FROM pages")
      }
      #expect(try installation.cdcd.metric("cdcd_retries_total") ?? 0 == 0)
    }

    /// Of slightly different widths, three rows each of the same.
    private func write(rowsOf width: Int, into installation: Installation) throws {
      try installation.postgres.query(
        """
        DO $$ BEGIN
          FOR part IN 0 .. \(Self.transactions - 1) LOOP
            INSERT INTO pages SELECT n, repeat('x', \(width) + n / 3 % 41)
              FROM generate_series(part * \(Self.rowsEach) + 1, (part + 1) * \(Self.rowsEach)) n;
            COMMIT;
          END LOOP;
        END $$
        """)
    }
  }
}
