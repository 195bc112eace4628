/* Waiting. */
#ifndef MODFS_DELAY_H
#define MODFS_DELAY_H

extern void msleep(unsigned int milliseconds);

#endif
