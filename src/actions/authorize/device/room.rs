//! How many may wait.

use crate::actions::authorize::BeginError;

/// How many sign-ins may wait at other devices, in all and of one person? Each is asked about every few seconds.
const MOST_OPEN: i64 = 100;
const MOST_OPEN_OF_ONE: i64 = 10;

/// Whether one more may wait beside these: how many in all, and of this person.
pub(super) fn room_beside(all: i64, own: i64) -> Result<(), BeginError> {
    if own >= MOST_OPEN_OF_ONE {
        return Err(BeginError::TooManyOpen(format!(
            "{own} sign-ins that you started wait at other devices already. Cancel one of them, or wait until its code runs out"
        )));
    }
    if all >= MOST_OPEN {
        return Err(BeginError::TooManyOpen(format!(
            "{all} sign-ins wait at other devices already, and no more can. Try again when one of them is over"
        )));
    }
    Ok(())
}
