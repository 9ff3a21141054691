extension SourceFacts {
  /// What stands against going on behind a watermark of an earlier timeline without a flush, in words for people; nil when
  /// nothing does but what the operator has to know (`source.lossless_failover`).
  ///
  /// A promoted standby begins its timeline at the end of the last record that it has replayed. Up to there its WAL is, byte
  /// for byte, that of the timeline before, and a position means the same on both; beyond, it means nothing. So:
  ///
  /// - **Nothing that cdcd acted on was lost** when the watermark is not beyond that end. Else the promoted server lacks
  ///   commits that were visible before, for a commit is deleted only when it is visible: values that readers cached of
  ///   them are phantoms, whatever the operator says. `applied` decides, since `settled` may lag behind what was done.
  /// - **Nothing is missed** when the slot can decode all that was committed behind the watermark. A slot that the
  ///   standby kept in step can: it is made permanent there only once it has a consistent snapshot and its WAL and rows of
  ///   the catalogue are kept, and one that had not come so far is dropped at the promotion. `synced` stays set on the
  ///   server that was promoted, and on no slot that somebody makes there. That the slot's confirmed position is not beyond
  ///   the watermark is judged as for every start; START_REPLICATION passes over what lies between the two.
  /// - **Nothing else that readers saw was lost**: commits that were visible and had not come to cdcd. No server can show
  ///   that: the old primary is gone. It holds when each commit waited for the standby before it was visible
  ///   (`synchronous_standby_names`), and that is what the operator vouches for. The same holds of a crash of the
  ///   promoted server before cdcd came, which its statistics cannot tell, being others than those of the old primary.
  func obstacleToFollowing(_ watermark: Watermark) -> String? {
    guard let end = history.end(of: watermark.timeline) else {
      return
        "timeline \(watermark.timeline) is none that the server's timeline \(timeline) is known to come from"
    }
    guard watermark.applied <= end else {
      return
        "the watermark at \(watermark.applied) is beyond \(end), where timeline \(watermark.timeline) ended:"
        + " commits that were visible are lost"
    }
    guard isSlotSynchronized else {
      return "the slot was not kept in step on the standby (failover and synced in pg_replication_slots)"
    }
    return nil
  }
}
