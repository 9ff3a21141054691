import Testing

extension RealServers {
  /// Rows of any width, in one transaction after the other, over TCP. The narrow window of a near connection has to hold the
  /// largest segment that a server may send, or the stream stands still for 0.2 s at a time. `Tests/run` runs this once more in
  /// a network namespace where windows are large from the beginning (`net.ipv4.tcp_rmem`).
  @Suite struct RowWidths {
    private static let widths = [10, 100, 560, 1_000, 2_000, 6_000]
    private static let rowsEach = 100
    /// A stream that stands still but for a segment of 64 KB each 0.2 s takes twenty seconds for it.
    private static let flood = 6_000_000

    @Test("no flood of rows stands still, and a lone change behind it goes", arguments: Installation.modes)
    func flood(mode: String) throws {
      var options = Installation.Options()
      options.mode = mode
      options.schema = """
        CREATE TABLE pages (id int PRIMARY KEY, body text NOT NULL);
        ALTER TABLE pages ALTER COLUMN body SET STORAGE PLAIN
        """
      options.rules = "  - {table: public.pages, keys: [\"page:{id}\"]}"
      let installation = try Installation(options)
      for width in Self.widths {
        try write(rowsOf: width, into: installation)
        try installation.expectSettled(within: .seconds(12))
        let lone = ["page:-\(width)"]
        let gone = try installation.keysGone(of: lone, after: "INSERT INTO pages VALUES (-\(width), '')")
        #expect(gone == lone, "after rows of \(width) bytes")
      }
      #expect(try installation.cdcd.metric("cdcd_retries_total") ?? 0 == 0)
    }

    /// Of slightly different widths, three rows each of the same.
    private func write(rowsOf width: Int, into installation: Installation) throws {
      // A row's message has some 50 bytes besides.
      let transactions = Self.flood / (width + 50) / Self.rowsEach
      try installation.postgres.query(
        """
        DO $$ BEGIN
          FOR part IN 0 .. \(transactions) LOOP
            INSERT INTO pages SELECT \(width * 100_000) + n, repeat('x', \(width) + n / 3 % 41)
              FROM generate_series(part * \(Self.rowsEach) + 1, (part + 1) * \(Self.rowsEach)) n;
            COMMIT;
          END LOOP;
        END $$
        """)
    }
  }
}
