import PostgresSource

/// Whether `source.lossless_crash` can be true.
enum CommitCheck {
  /// Nothing without it: a crash is then followed by a flush, whoever commits how.
  static func findings(
    losslessCrash: Bool, session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    guard losslessCrash else { return [] }
    let resets = try session.rows(AsynchronousCommits.resets + " ORDER BY 1").compactMap { $0[0] }
    guard !resets.isEmpty else { return [] }
    return [
      Finding(
        .warning,
        "source.lossless_crash says that no session sets synchronous_commit = off, and there are settings that do, or that"
          + " hide the server's: a crash may lose commits whose rows are cached, so that cdcd flushes every rule after one"
          + " all the same.",
        remedy: resets.joined(separator: " "))
    ]
  }
}
