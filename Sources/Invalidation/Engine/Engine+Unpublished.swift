/// Ruled tables whose changes do not come: they were dropped or renamed, taken out of the publication, or have a partition
/// that is unlogged. The other rules go on.
extension Engine {
  /// A look at the catalogue. Until such a table is published again its rules' flush stays open, and stands in the
  /// watermark, so that nothing is claimed and no restart forgets it.
  mutating func noticeUnpublished(_ facts: SourceFacts) {
    let lost = facts.unpublished.subtracting(source.unpublished)
    let mended = source.unpublished.subtracting(facts.unpublished)
    source.unpublished = facts.unpublished
    flushes.block(Set(rules(of: facts.unpublished)))
    if !lost.isEmpty { report(.error, "source_unpublished", unpublishedProblem) }
    if !lost.isEmpty || !mended.isEmpty {
      openGap(.publicationChanged, rules: rules(of: lost.union(mended)))
    }
  }

  var unpublishedProblem: String {
    let tables = source.unpublished.map(\.description).sorted().joined(separator: ", ")
    let (carrier, remedy) =
      switch configuration.mode {
      case .pgoutput: ("the publication", "run `cdcd setup`")
      case .wal2json: ("wal2json", "ALTER TABLE ... REPLICA IDENTITY FULL where there is no usable identity")
      case .notify:
        (
          "the outbox",
          "run `cdcd setup`, name the root in the rules where one names a partition, and no table that inherits"
        )
      }
    return
      "\(carrier) does not carry every change of \(tables): \(remedy), ALTER TABLE ... SET LOGGED for an unlogged"
      + " partition, or take the rules of a table that is gone out of the file; `cdcd check` says what is missing, and"
      + " the other rules go on"
  }
}
