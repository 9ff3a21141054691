import Invalidation

extension EntryPoint {
  /// Those of the daemon's pure core, which `Tests/run` replays under address sanitizer as well.
  static let core: [EntryPoint] = [
    pgoutput, wal2json, outbox, keyMessage, engine(.pgoutput), engine(.wal2json), keyTemplate, texts,
  ]

  #if FUZZES_CORE_ONLY
    static let all = core
  #else
    static let all = core + [rulesFile, wait, why, explain, resp]
  #endif
}
